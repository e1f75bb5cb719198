"""Sending of notices: webhooks and pings by HTTP, everything else by Apprise."""
