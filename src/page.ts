import { MoreThan, type EntityManager, type FindOptionsWhere } from "typeorm";
import { badUserInput, PageInfo } from "./audit/index.js";
import { MAX_PAGE } from "./audit/page-size.js";
import { uuidArgument } from "./validation.js";

export { PageInfo };

/** A page of entities in the order of their ids. */
export interface Page<Entity> {
  readonly nodes: Entity[];
  readonly pageInfo: PageInfo;
}

/** What a connection's field is asked: how many, and after which cursor. */
export interface PageArguments {
  readonly first: number;
  readonly after?: string | null;
}

/**
 * Reads a page by keyset: its cost doesn't grow with how far the reader has come.
 *
 * @throws AuditError BAD_USER_INPUT where `first` isn't from 1 to 200 or `after` is no cursor of ours
 */
export async function keysetPage<Entity extends { id: string }>(
  manager: EntityManager,
  entity: new () => Entity,
  where: FindOptionsWhere<Entity>,
  { first, after }: PageArguments,
): Promise<Page<Entity>> {
  if (!Number.isInteger(first) || first < 1 || first > MAX_PAGE)
    throw badUserInput([{ field: "first", message: `must be from 1 to ${String(MAX_PAGE)}` }]);
  const beyond = typeof after === "string" ? { id: MoreThan(readCursor(after)) } : {};
  const found = await manager.find(entity, {
    where: { ...where, ...beyond } as FindOptionsWhere<Entity>,
    order: { id: "ASC" } as never,
    take: first + 1,
  });
  const nodes = found.slice(0, first);
  const [start, end] = [nodes.at(0), nodes.at(-1)];
  return {
    nodes,
    pageInfo: {
      hasNextPage: found.length > first,
      hasPreviousPage: typeof after === "string",
      startCursor: start ? cursorOf(start) : null,
      endCursor: end ? cursorOf(end) : null,
    },
  };
}

const cursorOf = ({ id }: { id: string }): string => Buffer.from(`id:${id}`).toString("base64url");

function readCursor(cursor: string): string {
  const [kind, id] = Buffer.from(cursor, "base64url").toString().split(":");
  if (kind !== "id" || id === undefined) throw badUserInput([{ field: "after", message: "is no cursor of this list" }]);
  return uuidArgument(id, "after");
}
