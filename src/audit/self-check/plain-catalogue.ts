/**
 * Has the catalogue answer in one form, whatever is set for the login, the database or the server: names of schemas other
 * than the system's are always written, and quoted only where they have to be. For the rest of the transaction.
 */
export const plainCatalogue = `
  set local search_path = pg_catalog, pg_temp; set local quote_all_identifiers = off; set local intervalstyle = postgres;
  set local datestyle = 'ISO, YMD'; set local extra_float_digits = 1`;
