"""Sign in: the form, and the way to a provider and back."""
