/** A small document in the manner of the OpenAPI petstore, for tests. */
export const PETSTORE = `
openapi: 3.0.3
info: {title: Pets, version: '1'}
servers:
  - url: https://{region}.pets.example/api/{version}/
    variables:
      region: {default: eu}
      version: {default: v1}
paths:
  /pets:
    parameters:
      - $ref: '#/components/parameters/Trace'
    get:
      operationId: listPets
      summary: List the pets
      parameters:
        - {name: limit, in: query, required: true, description: At most this many, schema: {type: integer, maximum: 100, exclusiveMaximum: true}}
        - {name: tag, in: query, schema: {type: array, items: {type: string, nullable: true}}}
    post:
      operationId: addPet
      description: Adds a pet.
      requestBody: {$ref: '#/components/requestBodies/Pet'}
  /pets/{petId}:
    parameters:
      - {name: petId, in: path, required: true, schema: {type: string}}
      - {name: session, in: cookie, schema: {type: string}}
    get:
      operationId: getPet
    put:
      operationId: putPhoto
      requestBody:
        content:
          application/octet-stream: {schema: {type: string, format: binary}}
    delete:
      operationId: deletePet
components:
  parameters:
    Trace: {name: X-Trace, in: header, schema: {type: string}}
  requestBodies:
    Pet:
      required: true
      description: The pet
      content:
        application/json:
          schema: {$ref: '#/components/schemas/Pet'}
  schemas:
    Pet:
      type: object
      required: [id, name]
      properties:
        id: {type: integer, readOnly: true}
        name: {type: string, example: Rex}
        tag: {$ref: '#/components/schemas/Tag'}
        friends: {type: array, items: {$ref: '#/components/schemas/Pet'}}
    Tag: {type: string, nullable: true, enum: [a, b]}
`

/** A document of OpenAPI 3.1 with these paths and what else is given. */
export const documentOf = (paths: object, more: object = {}) =>
  JSON.stringify({ openapi: '3.1.0', info: { title: 't', version: '1' }, paths, ...more })
