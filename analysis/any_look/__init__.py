"""E-values and confidence sequences, whose error rate holds however often one looks: one family per module, with one interface in
``process``. Also how long they take until they decide."""
