//go:build tools

package main

import _ "github.com/aliyun/ossutil/lib" // keeps ossutil among the requirements; .ci/setup builds it
