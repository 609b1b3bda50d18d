"""Submissions in; marks, feedback and reports out."""
