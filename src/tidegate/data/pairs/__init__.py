"""Texts in pairs: from files of users and from data sets by name, a source and its target each."""
