"""The doctor's and the nurse's screen: the day, the record of a patient, and everything that is written in a visit."""
