"""What an app says of itself and how it works: name, branding, notifications, time zone, business hours, features."""
