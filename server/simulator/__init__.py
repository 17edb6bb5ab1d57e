"""Devices that are not there: each on a real websocket, receiving and reporting as an app on a phone would.

line: a graphql-transport-ws connection. counts: what happened so far. device: what one device does. fleet: many of
them, connected again when a connection breaks. backoff: the pause before. supply: where they come from. display: how it
looks. running: the whole.
"""
