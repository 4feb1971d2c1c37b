/* Members: a plain struct as a JSON object and back, by a table of what is in it. */
#ifndef MNK_LOCAL_MEMBERS_PRIV_H
#define MNK_LOCAL_MEMBERS_PRIV_H

#include "wire/wire.h"

typedef enum {
  MNK_MEMBER_BOOL,   /* gboolean */
  MNK_MEMBER_UINT,   /* guint */
  MNK_MEMBER_INT64,  /* gint64 */
  MNK_MEMBER_UINT64, /* guint64, up to what a signed one holds */
  MNK_MEMBER_FLOAT,  /* float; NAN is null */
  MNK_MEMBER_DOUBLE, /* the same */
  MNK_MEMBER_STRING, /* char *, owned; never NULL when it was read */
} MnkMemberKind;

typedef struct {
  const char *name;
  MnkMemberKind kind;
  gsize offset;
} MnkMember;

#define MNK_MEMBER(type, kind, field) {#field, MNK_MEMBER_##kind, G_STRUCT_OFFSET(type, field)}

/* Adds them to the object that is being written. */
void mnk_members_write(const MnkMember *members, gsize n, const void *from, MnkJsonWriter *w);
/* All must be there; numbers of other signs or sizes, and wrong types, are errors. Strings that
 * were in the struct before are not freed. */
gboolean mnk_members_read(const MnkMember *members, gsize n, const MnkJsonValue *value, void *into,
                          GError **error);
/* Frees the strings. */
void mnk_members_clear(const MnkMember *members, gsize n, void *from);

#endif
