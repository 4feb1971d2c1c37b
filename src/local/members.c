#include "local/members_priv.h"

#include <math.h>

static void write_one(const MnkMember *member, const guint8 *at, MnkJsonWriter *w) {
  const void *field = at + member->offset;
  switch (member->kind) {
  case MNK_MEMBER_BOOL:
    mnk_json_add_bool(w, member->name, *(const gboolean *)field);
    break;
  case MNK_MEMBER_UINT:
    mnk_json_add_int(w, member->name, *(const guint *)field);
    break;
  case MNK_MEMBER_INT64:
  case MNK_MEMBER_UINT64:
    mnk_json_add_int(w, member->name, *(const gint64 *)field);
    break;
  case MNK_MEMBER_FLOAT:
    mnk_json_add_double(w, member->name, (double)*(const float *)field, 17);
    break;
  case MNK_MEMBER_DOUBLE:
    mnk_json_add_double(w, member->name, *(const double *)field, 17);
    break;
  case MNK_MEMBER_STRING: {
    const char *text = *(const char *const *)field;
    mnk_json_add_string(w, member->name, text != NULL ? text : "");
    break;
  }
  }
}

void mnk_members_write(const MnkMember *members, gsize n, const void *from, MnkJsonWriter *w) {
  for (gsize i = 0; i < n; i++)
    write_one(&members[i], from, w);
}

static gboolean read_int(const MnkMember *member, const MnkJsonValue *value, gint64 min, gint64 max,
                         gint64 *out, GError **error) {
  return mnk_json_get_int(value, member->name, MNK_JSON_REQUIRED, min, max, out, error);
}

/* A missing number is none. */
static gboolean read_double(const MnkMember *member, const MnkJsonValue *value, double *out,
                            GError **error) {
  *out = (double)NAN;
  return mnk_json_get_double(value, member->name, MNK_JSON_OPTIONAL, -G_MAXDOUBLE, G_MAXDOUBLE, out,
                             error);
}

static gboolean read_string(const MnkMember *member, const MnkJsonValue *value, char **out,
                            GError **error) {
  const char *text = NULL;
  if (!mnk_json_get_string(value, member->name, MNK_JSON_REQUIRED, G_MAXSIZE, &text, error))
    return FALSE;
  *out = g_strdup(text);
  return TRUE;
}

static gboolean read_one(const MnkMember *member, const MnkJsonValue *value, guint8 *at,
                         GError **error) {
  void *field = at + member->offset;
  gint64 number = 0;
  double real = 0;
  gboolean ok = TRUE;
  switch (member->kind) {
  case MNK_MEMBER_BOOL:
    return mnk_json_get_bool(value, member->name, MNK_JSON_REQUIRED, field, error);
  case MNK_MEMBER_UINT:
    ok = read_int(member, value, 0, G_MAXUINT, &number, error);
    *(guint *)field = (guint)number;
    return ok;
  case MNK_MEMBER_INT64:
    return read_int(member, value, G_MININT64, G_MAXINT64, field, error);
  case MNK_MEMBER_UINT64:
    return read_int(member, value, 0, G_MAXINT64, field, error);
  case MNK_MEMBER_FLOAT:
    ok = read_double(member, value, &real, error);
    *(float *)field = (float)real;
    return ok;
  case MNK_MEMBER_DOUBLE:
    return read_double(member, value, field, error);
  case MNK_MEMBER_STRING:
    return read_string(member, value, field, error);
  }
  return FALSE;
}

gboolean mnk_members_read(const MnkMember *members, gsize n, const MnkJsonValue *value, void *into,
                          GError **error) {
  for (gsize i = 0; i < n; i++)
    if (!read_one(&members[i], value, into, error))
      return FALSE;
  return TRUE;
}

void mnk_members_clear(const MnkMember *members, gsize n, void *from) {
  for (gsize i = 0; i < n; i++)
    if (members[i].kind == MNK_MEMBER_STRING)
      g_clear_pointer((char **)(gpointer)((guint8 *)from + members[i].offset), g_free);
}
