"""Reading the read models: any table, a page at a time (``rows``), and what is asked often (``questions``).

Owns the forms in which rows are given out. A row shows the state as of the runner's last batch; who needs the moment
itself asks ``projections.show``. Never folds; reads the log only to open private values, for those who may see them.
"""
