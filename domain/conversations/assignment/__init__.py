"""Who answers which conversation: given by hand, in turn, by load, or from the queue.

Locks are taken in this order: the app's row (changes of the team), the contact, the conversation, the app's turn, the
member. The turn (`agents.take_turn`) is held by whoever chooses somebody automatically, so that each chooser sees what
the last one has given, and nobody gets more than they can take. Who holds a turn waits for nothing, or for the turn of
an app with a higher id: conversations and members that somebody else has locked are passed over, and looked at again
when the next one looks, the clock at the latest. So nobody ever waits in a circle.
"""
