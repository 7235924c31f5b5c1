"""A board for Grafana and rules for Prometheus, made of the table of meters: `make dashboards`."""
