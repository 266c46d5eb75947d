"""Backups of what a project has recorded and stored: written while runs go on, checked, put back."""
