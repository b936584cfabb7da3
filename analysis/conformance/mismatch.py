"""What a check raises when a model and what is said about it disagree."""


class Mismatch(Exception):  # noqa: N818  (it is a finding, not an error of the program)
    """The message says what differs, where and by how much."""
