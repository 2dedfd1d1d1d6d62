//! OpenRosa submissions: an interview written as XML, and read back into answers.
