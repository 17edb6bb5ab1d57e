"""Every argument of a mutation is described by what it is."""

from graphql import GraphQLSchema, get_named_type

from server.graphql.schema import schema


def test_an_input_is_described_as_its_type_is() -> None:
    built: GraphQLSchema = schema()._schema
    assert built.mutation_type is not None
    for name, field in built.mutation_type.fields.items():
        for argument in field.args.values():
            assert argument.description, name
            assert argument.description == get_named_type(argument.type).description, name
