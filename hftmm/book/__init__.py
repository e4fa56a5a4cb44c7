"""Market state: order books, their synchronisation, the consolidated book and the NBBO."""
