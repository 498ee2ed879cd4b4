"""What a model is worth: passages, conditions, figures, calibration."""
