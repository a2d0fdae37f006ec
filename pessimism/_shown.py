"""What a user gave, as a message shows it."""

LENGTH = 200


def shown(value: object) -> str:
    """`repr(value)` on one line, cut to `LENGTH`; words in its place where it fails: Python prints no huge integers."""
    try:
        text = repr(value)
    except Exception:
        if isinstance(value, int):
            return f"an integer of about {value.bit_length() * 0.30103:.0f} digits"
        return f"a {type(value).__name__} that cannot be printed"
    if "\n" in text:
        text = " ".join(text.split())
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 3]}..."
