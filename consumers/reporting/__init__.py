"""Reports: tables defined by one .sql file each, kept up to date as staging changes."""
