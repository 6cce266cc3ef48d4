require_relative 'verify'

puts verify(*ARGV)
