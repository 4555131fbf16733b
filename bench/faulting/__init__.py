"""What the bench of faults is made of: a server to break, senders that keep count, and a judge."""
