"""The demo: a season of 2013 New York flights, with four models that compete to foresee the late ones, played week by week."""
