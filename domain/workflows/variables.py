"""What texts and conditions of a workflow may say: of the contact, of what let them in, of earlier steps."""

from collections.abc import Iterable
from difflib import get_close_matches

from core.errors import Invalid
from domain import templates
from domain.workflows import configs, triggers
from domain.workflows.configs import Config
from domain.workflows.definition import Definition, Node
from domain.workflows.nodes.table import KINDS
from domain.workflows.problems import Problem, ProblemCode, of_error

OF_RUN = ("user_id", "contact_id", "workflow_id", "execution_id")
"""What every run knows: the app's id of the contact, our own, and those of the workflow and of the run."""
OF_CONTACT = tuple(name for name in templates.DECLARED if name != templates.UNSUBSCRIBE_URL)
STEPS, OUTPUT = "steps", "output"
SHOWN_MOST = 100


def declared(definition: Definition, earlier: Iterable[str]) -> frozenset[str]:
    """The variables at a node with these before it; a name that ends in `.*` stands for all below."""
    kind = triggers.KINDS.get(definition.trigger.type) if definition.trigger else None
    nodes = {node.id: node for node in definition.nodes}
    outputs = (f"{STEPS}.{id_}.{OUTPUT}.{name}" for id_ in earlier for name in _outputs(nodes[id_]))
    brought = kind.brings if kind else ()
    return frozenset([*OF_CONTACT, f"{templates.ATTRIBUTES}*", *OF_RUN, *brought, *outputs])


def _outputs(node: Node) -> tuple[str, ...]:
    return KINDS[node.type].outputs if node.type in KINDS else ()


def is_known(variable: str, known: frozenset[str]) -> bool:
    """Whether a variable is among those declared."""
    if variable in known:
        return True
    keys = variable.split(".")
    return any(f"{'.'.join(keys[:end])}.*" in known for end in range(1, len(keys)))


def check(node: Node, config: Config, known: frozenset[str]) -> Iterable[Problem]:
    """The placeholders of a node that are malformed, and the variables that there are not."""
    for name, text in configs.templated(config):
        there = f"config.{name}"
        try:
            used = templates.compile(text, there).variables
        except Invalid as error:
            yield of_error(error, node.id)
            continue
        yield from (_unknown(node, one, there, known) for one in used if not is_known(one, known))
    for name, variable in config.variables():
        if not is_known(variable, known):
            yield _unknown(node, variable, f"config.{name}", known)


def _unknown(node: Node, variable: str, there: str, known: frozenset[str]) -> Problem:
    near = get_close_matches(variable[:SHOWN_MOST], sorted(known), n=2, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    message = f"{there}: there is no variable {variable[:SHOWN_MOST]} at this node.{hint}"
    return Problem(ProblemCode.VARIABLE_UNKNOWN, message, node.id, there)
