/** One statement on one audited table with one entry for all of its rows. */
export const bulk = `
  create function audit_guard.put_aside(changed regclass) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    update audit.fence set aside = pg_current_xact_id() where relation = changed;
    if not found then
      raise exception '% has no fence', changed using errcode = 'undefined_object';
    end if;
  end
  $$;

  -- A statement that could hold a secret's value is told of, not kept.
  create function audit_guard.put_back(changed regclass, statement text, verb text, count bigint, reason text)
  returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    type text;
    broken text;
  begin
    update audit.fence set aside = null where relation = changed returning resource_type into type;
    select problem into broken from audit_guard.fence_damage() as problem limit 1;
    if broken is not null then
      raise exception '%', broken using errcode = 'object_not_in_prerequisite_state';
    end if;
    perform audit_guard.write_entry('$platform', type, null, null,
      case verb when 'insert' then 'CREATE' when 'update' then 'UPDATE' else 'DELETE' end,
      jsonb_build_array(
        jsonb_build_object('field', 'rows', 'op', 'REPLACE', 'new', count),
        jsonb_build_object('field', 'statement', 'op', 'REPLACE') || case
          when exists (select from audit.fence_policy where resource_type = type and policy = 'secret')
          then jsonb_build_object('secret', true) else jsonb_build_object('new', statement) end),
      left(reason, 1000));
  end
  $$;

  -- One statement on one audited table without an entry for each row; one entry says what, why, by whom and how many.
  -- As the caller, the table's owner: nobody else writes the table until the transaction ends.
  create function audit_guard.change_in_bulk(changed regclass, statement text, reason text) returns bigint
  language plpgsql
  as $$
  declare
    verb constant text := pg_catalog.lower(pg_catalog.substring(statement, '(?i)\\m(insert|update|delete)\\M'));
    body constant text := pg_catalog.rtrim(statement, E'; \\t\\r\\n');
    rows bigint;
    strangers bigint;
  begin
    if verb is null or pg_catalog.btrim(coalesce(reason, '')) = '' then
      raise exception 'A change in bulk is one INSERT, UPDATE or DELETE, and has a reason'
        using errcode = 'invalid_parameter_value';
    end if;
    perform audit_guard.put_aside(changed);
    execute pg_catalog.format('alter table %s disable trigger audit_fence', changed);
    execute pg_catalog.format(
      'with changed as (%s returning tableoid) '
      'select pg_catalog.count(*), pg_catalog.count(*) filter (where tableoid operator(pg_catalog.<>) $1) from changed', body)
      into rows, strangers using changed::pg_catalog.oid;
    if strangers > 0 then
      raise exception 'The statement changes another table than %', changed using errcode = 'invalid_parameter_value';
    end if;
    execute pg_catalog.format('alter table %s enable always trigger audit_fence', changed);
    perform audit_guard.put_back(changed, statement, verb, rows, reason);
    return rows;
  end
  $$`;
