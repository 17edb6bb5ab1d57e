"""Files that belong to messages: taken in, checked, kept, shown, attached, swept."""
