"""The $-operations: dispatch, parameters, one file each."""
