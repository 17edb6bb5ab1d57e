"""Providers that are not there: they speak the wire of FCM, APNs, Web Push and SMTP on this machine.

behaviour: what goes wrong, and how often. ledger: what was accepted, exactly. credentials: what to sign in with.
http: FCM with its OAuth, push services, and the control of it all. apns: HTTP/2. mail: SMTP. running: the whole.
"""
