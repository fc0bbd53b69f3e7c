"""The measurements, one module each: what is done, against whom, and the budget beside it."""
