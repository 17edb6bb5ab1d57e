"""Notifications: what people of a team are told of, where, and until when.

They are made by the dispatcher of facts, in the transaction that marks the facts as served, set by set: so each fact
counts once for each person, wherever a worker dies. `types` says what there is, `table` which facts lead to it,
`audience` who is told, `writing` writes it, `clearing` takes it off who has seen it elsewhere; `own` is what a person
does with theirs, `preferences` what they want, `mailing` what goes by mail.
"""
