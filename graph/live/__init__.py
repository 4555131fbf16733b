"""Subscriptions: executed once a change however many look, over WebSocket and server-sent events."""
