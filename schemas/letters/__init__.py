"""Dead letters: their form, their outcomes, and the choice of those to redrive."""
