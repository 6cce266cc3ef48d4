using System;

public static class Driver
{
    public static void Main(string[] given)
    {
        Console.WriteLine(Webhook.Verify(given[0], given[1], given[2], given[3], given[4]) ? "true" : "false");
    }
}

namespace System.Security.Cryptography
{
    // Part of .NET, but not of Mono, which is what Debian has.
    public static class CryptographicOperations
    {
        public static bool FixedTimeEquals(byte[] left, byte[] right)
        {
            if (left.Length != right.Length) return false;
            var difference = 0;
            for (var at = 0; at < left.Length; at++) difference |= left[at] ^ right[at];
            return difference == 0;
        }
    }
}
