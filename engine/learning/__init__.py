"""What is learnt from logged events: the amount, the hour and the merchant to advise."""
