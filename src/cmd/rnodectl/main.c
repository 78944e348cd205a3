/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - rnodectl, the hand on a running node
 */
#include "ctl/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
