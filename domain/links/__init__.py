"""Tracked links: addresses in a broadcast that lead through the server, so that a click is seen.

finding: addresses in texts and in the data of a broadcast. stored: each is kept once, when the broadcast starts, and
put for by a short one in what a recipient gets. tokens: the short ones, signed. agents: who follows them, a person or
a machine. What is counted then is in `domain.clicks`.
"""
