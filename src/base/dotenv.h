/* Dotenv: variables from a .env file beside those of the environment.
 *
 * A line is NAME=VALUE, with "export " before it or not; blank lines and those that begin with #
 * say nothing. An unquoted value ends before " #" and loses the spaces around it. In 'single
 * quotes' \' and \\ stand for a quote and a backslash, in "double quotes" the usual escapes of C
 * too; a quoted value may go over several lines. Nothing is expanded. Of one name the last line
 * counts. */
#ifndef MNK_BASE_DOTENV_H
#define MNK_BASE_DOTENV_H

#include <glib.h>

/* The pairs ("NAME=VALUE") with those of the file that they lack; a name that is there, if with an
 * empty value, stays as it is. A file that is not there adds nothing. Errors (MNK_ERROR_CONFIG,
 * MNK_ERROR_LIMIT over 64 KiB) name the file and the line, never a value. Caller frees with
 * g_strfreev. */
char **mnk_dotenv_merge(char **environ_pairs, const char *path, GError **error);
/* A file's text as pairs; name: what errors call it. Caller frees with g_strfreev. */
char **mnk_dotenv_parse(const char *text, gsize length, const char *name, GError **error);

#endif
