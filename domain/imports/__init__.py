"""Contacts from a CSV file, as people have it.

text: bytes to lines. table: lines to records. columns: what the header means. rows: a record to a contact, by the rules
of `domain.contacts`. writing: a slice of rows to the database. running: the whole, slice by slice. reports: the rows
that were refused, as a CSV file.

What happens to a row:

- It is recognised by its external id; a row without one by its e-mail; a row with neither by its phone number (the
  primary ones of a contact). A row that has none of the three is refused. So the same file can come twice.
- When no contact is recognised, it becomes one. Otherwise filled cells replace what the contact has there, and empty
  cells leave it: an import never erases. An e-mail or phone replaces the primary one and leaves the others; each column
  that is not known is an attribute of its own.
- A row that is recognised as a contact of an earlier row of the file is refused, and so is one that is recognised as
  several contacts.
- A platform gives the contact a device of that platform, unless it has one.
- Rows are written 1,000 at a time, each slice in a transaction of its own. What was written stands.
"""
