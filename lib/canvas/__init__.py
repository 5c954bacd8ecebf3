"""One click from the portal into SageMaker Canvas, for the profile of who clicks and no other."""
