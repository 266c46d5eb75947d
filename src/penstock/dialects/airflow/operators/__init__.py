"""The operators of Airflow itself, and of the providers that penstock can do the work of."""
