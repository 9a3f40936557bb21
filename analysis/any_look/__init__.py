"""Processes whose error rate holds however often one looks: e-values and confidence sequences, one family a module, behind one face
(``process``). And how long they take."""
