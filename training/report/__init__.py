"""An evaluation as tables, pictures, a page and a model card."""
