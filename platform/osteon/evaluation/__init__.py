"""How good labels are: metrics and reports."""
