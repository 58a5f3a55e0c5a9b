/** How the database writes an entry of its own: who is logged in, with what values. A UUID has 122 random bits of a salt's 128. */
export const writeEntry = `
  create function audit_guard.salts(slots integer) returns bytea
  language sql volatile set search_path = pg_catalog, pg_temp
  return (select string_agg(uuid_send(gen_random_uuid()), ''::bytea) from generate_series(1, slots));

  -- Values over 64 KiB, or beyond 1 MiB in one entry, as their length and salted digest.
  create function audit_guard.within_bounds(changes jsonb, salts bytea) returns jsonb
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    kept jsonb := '[]';
    change jsonb;
    slot integer := 10;
    bytes_left integer := 1048576;
    member text;
    value text;
  begin
    if octet_length(changes::text) <= 65536 then
      return changes;
    end if;
    for change in select element from jsonb_array_elements(changes) as element loop
      foreach member in array array['old', 'new'] loop
        value := (change -> member)::text;
        if octet_length(value) > least(65536, bytes_left) then
          change := change - member || jsonb_build_object(member || 'Omitted', jsonb_build_object(
            'bytes', octet_length(value),
            'digest', encode(sha256(substr(salts, slot * 16 + 1, 16) || convert_to(value, 'UTF8')), 'hex')));
        else
          bytes_left := bytes_left - coalesce(octet_length(value), 0);
        end if;
        slot := slot + 1;
      end loop;
      kept := kept || change;
    end loop;
    return kept;
  end
  $$;

  -- An entry of the database's own: who is logged in, from where, with what.
  create function audit_guard.write_entry(
    tenant_id text, resource_type text, resource_id text, label text, action text, changes jsonb, reason text
  ) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    salts constant bytea := audit_guard.salts(10 + 2 * jsonb_array_length(changes));
  begin
    insert into audit.entry (
      tenant_id, format_version, actor_type, actor_name, action, event_type, outcome, resource_type, resource_id,
      resource_label, changes, attempted, reason, ordinal, ip, salts
    ) values (
      tenant_id, 1, 'DATABASE', session_user, action,
      resource_type || case action when 'CREATE' then '.created' when 'UPDATE' then '.updated' else '.deleted' end,
      'SUCCESS', resource_type, resource_id, left(label, 300), audit_guard.within_bounds(changes, salts), '[]', reason, 0,
      inet_client_addr(), salts
    );
  end
  $$`;
