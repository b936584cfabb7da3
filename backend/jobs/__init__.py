"""Runs carried out in a worker process, so that no page waits for them and no kill loses them."""
