import { Allow, IsEnum, IsOptional, IsString, Length, ValidateNested } from "class-validator";
import { expect, it } from "vitest";
import { features } from "../src/features.js";
import { Arg, Field, InputType, Mutation, Query, registerEnumType, Resolver } from "../src/graphql.js";
import { inputFindings } from "../src/input-findings.js";

enum Colour {
  RED = "RED",
}
registerEnumType(Colour, { name: "BadgeColour" });

@InputType()
class Place {
  @Field(() => String)
  room!: string;

  @Field(() => String)
  @Length(1, 10)
  house!: string;
}

@InputType()
abstract class BadgeSettings {
  @Field(() => String, { nullable: true })
  note?: string;

  @Field(() => String)
  @IsString()
  label!: string;
}

@InputType()
class CreateBadgeInput extends BadgeSettings {
  @Field(() => String)
  pin!: string;

  @Field(() => String, { nullable: true })
  @IsOptional()
  hint?: string;

  @Field(() => Boolean)
  @Allow()
  isTemporary!: boolean;

  @Field(() => Colour)
  @IsEnum(Colour)
  colour!: Colour;

  @Field(() => [Place])
  @ValidateNested()
  places!: Place[];

  @Field(() => Place, { nullable: true })
  @IsOptional()
  home?: Place;
}

@InputType()
class UncheckedInput {
  @Field(() => String)
  pin!: string;
}

@Resolver()
class BadgeResolver {
  @Query(() => String)
  badge(): string {
    return "";
  }

  @Mutation(() => String)
  createBadges(@Arg("inputs", () => [CreateBadgeInput]) _inputs: CreateBadgeInput[]): string {
    return "";
  }

  @Mutation(() => String)
  createUnchecked(@Arg("input", () => UncheckedInput, { validate: false }) _input: UncheckedInput): string {
    return "";
  }
}

@Resolver()
class SmallBadgeResolver extends BadgeResolver {}

@Resolver()
class OtherResolver {
  @Mutation(() => String)
  createOther(@Arg("input", () => UncheckedInput) _input: UncheckedInput): string {
    return "";
  }
}

const has = "has no validator: add one of class-validator's, or @Allow() where any value of its type will do.";
const looked = "is an input that nothing looks into: add @ValidateNested().";

it("Each member of an input class that nothing checks is named, inherited and nested ones too", () => {
  const findings = [
    `CreateBadgeInput.note ${has}`,
    `CreateBadgeInput.pin ${has}`,
    `CreateBadgeInput.hint ${has}`,
    `CreateBadgeInput.home ${looked}`,
    `Place.room ${has}`,
  ];
  expect(inputFindings([BadgeResolver]).sort()).toEqual([...findings].sort());
  expect(inputFindings([SmallBadgeResolver]).sort()).toEqual([...findings].sort());
});

it("A class without any validator is named where its argument is validated, and only there", () => {
  expect(inputFindings([OtherResolver])).toEqual([`UncheckedInput.pin ${has}`]);
  expect(inputFindings([])).toEqual([]);
});

it("The features' own inputs are checked, each member", () => {
  expect(inputFindings(features.flatMap((feature) => feature.resolvers))).toEqual([]);
});
