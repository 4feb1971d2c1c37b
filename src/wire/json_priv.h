/* The check of json_check.c, telling the members of the outermost object as it passes them. */
#ifndef MNK_WIRE_JSON_PRIV_H
#define MNK_WIRE_JSON_PRIV_H

#include "wire/json.h"

/* As they stand in the text: strings without their quotes, escapes not resolved. */
typedef struct {
  const char *key;
  gsize key_length;
  MnkJsonType type;
  const char *value;
  gsize value_length;
} MnkJsonMember;

/* Comes before the text behind the member, and its being unique, have been checked. */
typedef void (*MnkJsonMemberFunc)(const MnkJsonMember *member, gpointer user);

/* mnk_json_check that tells members; *type is that of the whole. */
gboolean mnk_json_scan(const char *bytes, gsize length, const MnkJsonLimits *limits,
                       MnkJsonMemberFunc func, gpointer user, MnkJsonType *type, GError **error);

/* A string that has passed, with its escapes resolved. */
GString *mnk_json_unescape(const char *text, gsize length);
gboolean mnk_json_text_is(const char *text, gsize length, const char *expected);

#endif
