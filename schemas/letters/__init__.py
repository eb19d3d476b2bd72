"""Dead letters: their format, their outcomes, and the selection of letters to redrive."""
